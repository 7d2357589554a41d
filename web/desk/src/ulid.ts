/**
 * Ids of the desk's own making, in the form that the broker makes them (a ULID): an entry has its id before it is sent,
 * so that whatever happens to the answer it can be found again, and is never there twice.
 */
const ALPHABET = '0123456789ABCDEFGHJKMNPQRSTVWXYZ';

/** 48 bits of time, 80 of chance, in 26 letters. */
export function ulid(now: number = Date.now()): string {
  let time = '';
  for (let rest = now, place = 0; place < 10; place++) {
    time = ALPHABET[rest % 32] + time;
    rest = Math.floor(rest / 32);
  }
  let chance = '';
  for (const byte of crypto.getRandomValues(new Uint8Array(16))) chance += ALPHABET[byte % 32];
  return time + chance;
}
