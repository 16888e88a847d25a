// Who may have the page: whoever has a token, which becomes a cookie, and asks for it by a name that is ours. A page of another
// site has neither the cookie nor our origin, and a name that was pointed here by somebody else's DNS is no name of ours.
import { createHash, randomBytes } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import { isIP } from 'node:net';

/** Browsers that are let in at a time; the oldest has to ask for a new token. */
const mostSessions = 64;
/** Invitations that nobody has used yet. */
const mostInvitations = 64;

const loopback = ['localhost', '127.0.0.1', '[::1]'];

export class Guard {
  readonly #names: ReadonlySet<string>;
  readonly #isEverywhere: boolean;
  /** The token that may be used again and again, if there is one. */
  readonly #token: string | null;
  readonly #invitations = new Set<string>();
  readonly #sessions = new Set<string>();
  #port = 0;

  /**
   * @param host that is listened at
   * @param names that it has besides
   * @param token that is taken again and again; null where each is for one use
   */
  constructor(host: string, names: readonly string[], token: string | null) {
    const own = isIP(host) === 6 ? `[${host}]` : host.toLowerCase();
    this.#isEverywhere = host === '0.0.0.0' || host === '::';
    const isLoopback = this.#isEverywhere || loopback.includes(own) || host.startsWith('127.');
    this.#names = new Set([own, ...names.map((name) => name.toLowerCase()), ...(isLoopback ? loopback : [])]);
    this.#token = token === null ? null : digest(token);
  }

  /** The port, once it is known. Cookies know no ports: two servers of a machine have two names. */
  listensAt(port: number): void {
    this.#port = port;
  }

  /** A token for one use. */
  invite(): string {
    const token = randomBytes(24).toString('base64url');
    addTo(this.#invitations, digest(token), mostInvitations);
    return token;
  }

  /** Whether the Host of a request is a name of this server, with its port. */
  knowsHost({ headers }: IncomingMessage): boolean {
    const found = /^(\[[0-9a-f:.]+\]|[^:[\]]+)(?::(\d{1,5}))?$/i.exec(headers.host ?? '');
    if (found === null || Number(found[2] ?? 80) !== this.#port) return false;
    const name = (found[1] as string).toLowerCase();
    return this.#names.has(name) || (this.#isEverywhere && isIP(name.replace(/^\[|\]$/g, '')) !== 0);
  }

  /** Whether a page of this server asks, and no other. */
  isOwnOrigin({ headers }: IncomingMessage): boolean {
    return headers.origin !== undefined && headers.origin.toLowerCase() === `http://${headers.host}`.toLowerCase();
  }

  /** Whether its browser was let in. */
  isKnown({ headers }: IncomingMessage): boolean {
    const cookies = (headers.cookie ?? '').split(';').map((cookie) => cookie.trim());
    return cookies.some(
      (cookie) =>
        cookie.startsWith(`${this.#name}=`) && this.#sessions.has(digest(cookie.slice(this.#name.length + 1))),
    );
  }

  /** Takes a token. @returns the header that makes its browser known, or null where the token is none, or was used */
  admit(token: string): string | null {
    const given = digest(token);
    if (given !== this.#token && !this.#invitations.delete(given)) return null;
    const session = randomBytes(32).toString('base64url');
    addTo(this.#sessions, digest(session), mostSessions);
    return `${this.#name}=${session}; Path=/; HttpOnly; SameSite=Strict`;
  }

  get #name(): string {
    return `ismio-console-${this.#port}`;
  }
}

/** Secrets are kept and compared as digests: how long a comparison takes says nothing about them. */
function digest(secret: string): string {
  return createHash('sha256').update(secret).digest('hex');
}

/** The oldest goes where there are too many. */
function addTo(set: Set<string>, one: string, most: number): void {
  set.add(one);
  for (const oldest of set) {
    if (set.size <= most) return;
    set.delete(oldest);
  }
}
