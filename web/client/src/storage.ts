/** Positions in sessionStorage: of this tab, over a reload. A browser that refuses it costs no more than that. */

/** Keeps a position of a topic, where there is one; gives the one that is kept. */
export function stored(url: string, topic: string, position?: string): string | undefined {
  const name = `tenbells:${url}:${topic}`;
  try {
    if (position) sessionStorage.setItem(name, position);
    return sessionStorage.getItem(name) ?? undefined;
  } catch {
    return undefined;
  }
}
