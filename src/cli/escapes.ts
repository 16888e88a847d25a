// The keys that are for the client: at the beginning of a line a tilde, and what is behind it. As ssh and conserver have it.

/** What comes of keys: bytes to be sent, or a command. */
export type Typed =
  | { readonly what: 'send'; readonly bytes: Uint8Array }
  | { readonly what: 'command'; readonly key: string };

const enter = [10, 13];

export class Escapes {
  readonly #escape: number;
  #state: 'line' | 'start' | 'escaped' = 'start';

  /** @param character none where it is empty */
  constructor(character = '~') {
    this.#escape = character === '' ? -1 : character.charCodeAt(0);
  }

  /** @param commands the keys that are commands; any other is sent, with the tilde before it */
  take(keys: Uint8Array, commands: string): Typed[] {
    const found: Typed[] = [];
    let bytes: number[] = [];
    const flush = (): void => {
      if (bytes.length > 0) found.push({ what: 'send', bytes: Uint8Array.from(bytes) });
      bytes = [];
    };
    for (const key of keys) {
      if (this.#state === 'escaped') {
        const command = String.fromCharCode(key);
        if (commands.includes(command)) {
          flush();
          found.push({ what: 'command', key: command });
          this.#state = 'start';
          continue;
        }
        if (key !== this.#escape) bytes.push(this.#escape);
      } else if (this.#state === 'start' && key === this.#escape) {
        this.#state = 'escaped';
        continue;
      }
      bytes.push(key);
      this.#state = enter.includes(key) ? 'start' : 'line';
    }
    flush();
    return found;
  }
}
