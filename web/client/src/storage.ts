/** Positions in sessionStorage: of this tab, over a reload. A browser that refuses it costs no more than that. */

const name = (url: string, topic: string): string => `tenbells:${url}:${topic}`;

/** The position kept for a topic. */
export function kept(url: string, topic: string): string | undefined {
  try {
    return sessionStorage.getItem(name(url, topic)) ?? undefined;
  } catch {
    return undefined;
  }
}

/** Keeps a position. */
export function keep(url: string, topic: string, position: string): void {
  try {
    sessionStorage.setItem(name(url, topic), position);
  } catch {
    // Full, or forbidden.
  }
}
