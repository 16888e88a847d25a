// Where an export is: a URI of NBD as its project and libnbd have them, or the same as an object.
import { checkBetween, checkOptions, checkPath, checkText } from '../../../support/check.js';
import { rangeError } from '../../../support/errors.js';

/** An export: of a server at a unix socket, or at a port of TCP. */
export interface NbdPlace {
  /** A unix socket. */
  readonly path?: string;
  /** A name or an address. Default 'localhost'. */
  readonly host?: string;
  /** Default 10809. */
  readonly port?: number;
  /** Of the export. Default: the one that the server has for who names none. */
  readonly name?: string;
}

/** What a URI or a place comes to. */
export interface Address {
  readonly target: { readonly path: string } | { readonly host: string; readonly port: number };
  readonly name: string;
  /** Nothing but STARTTLS is said in the clear. */
  readonly tls: boolean;
  /** A folder with ca-cert.pem, and client-cert.pem and client-key.pem where the server wants them. */
  readonly certificates: string | null;
  /** The name that the server's certificate has to have, where it is not the host. */
  readonly hostname: string | null;
  /** As messages have it. */
  readonly words: string;
}

const nbdPort = 10_809;
/** Of a name, in bytes, by the protocol. */
const longestName = 4096;
const parameters = ['socket', 'tls-certificates', 'tls-hostname'];

/** @throws RangeError ERR_ISMIO_OPTION, TypeError ERR_ISMIO_ARGUMENT_TYPE */
export function addressOf(place: string | NbdPlace): Address {
  if (typeof place === 'string') return parse(place);
  checkOptions(place, ['path', 'host', 'port', 'name'], 'openNbd');
  const { path, host, port } = place;
  const name = checkName(checkText(place.name ?? '', 'name'));
  const common = { name, tls: false, certificates: null, hostname: null };
  if (path !== undefined) {
    if (host !== undefined || port !== undefined) {
      throw rangeError('ERR_ISMIO_OPTION', 'openNbd takes a path, or host and port', { path, host, port });
    }
    const socket = { path: checkPath(path, 'path') };
    return { ...common, target: socket, words: wordsOf('nbd', socket, name) };
  }
  const target = {
    host: checkText(host ?? 'localhost', 'host') || 'localhost',
    port: checkBetween(port ?? nbdPort, 'port', 1, 65_535),
  };
  return { ...common, target, words: wordsOf('nbd', target, name) };
}

/** By hand: the URL of Node.js would take dots out of the names of exports, and make spaces of a plus. */
function parse(uri: string): Address {
  const [, scheme, authority = '', path = '', query = ''] =
    /^([a-z+]+):\/\/([^/?#]*)([^?#]*)(?:\?([^#]*))?$/i.exec(uri) ?? [];
  const [, base = '', unix] = /^(nbds?)(\+unix)?$/.exec(scheme?.toLowerCase() ?? '') ?? [];
  if (base === '') {
    throw refused(uri, 'it has to begin with nbd://, nbds://, nbd+unix:// or nbds+unix://, and to have no fragment');
  }
  const given = queryOf(uri, query);
  const name = checkName(decoded(uri, path.replace(/^\//, '')));
  const socket = given.get('socket');
  if ((unix === undefined) !== (socket === undefined)) {
    throw refused(uri, `${base}+unix:// takes ?socket=PATH, and ${base}:// takes none`);
  }
  if (socket !== undefined && authority !== '') throw refused(uri, 'a unix socket has no host');
  if (socket === '') throw refused(uri, 'the path of the socket is empty');
  const target = socket === undefined ? hostOf(uri, authority) : { path: socket };
  const certificates = given.get('tls-certificates') ?? null;
  const hostname = given.get('tls-hostname') ?? null;
  const tls = base === 'nbds';
  if (!tls && (certificates !== null || hostname !== null)) throw refused(uri, 'TLS takes nbds://');
  return { target, name, tls, certificates, hostname, words: wordsOf(base, target, name) };
}

function hostOf(uri: string, authority: string): { host: string; port: number } {
  if (authority.includes('@')) throw refused(uri, 'a user is of pre-shared keys, which are not known here');
  const [, bracketed, plain, digits] = /^(?:\[([^\]]+)\]|([^:[\]]*))(?::(\d*))?$/.exec(authority) ?? [];
  if (bracketed === undefined && plain === undefined) throw refused(uri, 'its host makes no sense');
  const port = digits === undefined || digits === '' ? nbdPort : Number(digits);
  if (port < 1 || port > 65_535) throw refused(uri, `a port is from 1 to 65535, not ${digits}`);
  return { host: decoded(uri, bracketed ?? plain ?? '') || 'localhost', port };
}

function queryOf(uri: string, query: string): Map<string, string> {
  const given = new Map<string, string>();
  for (const part of query.split('&').filter((one) => one !== '')) {
    const [name = '', ...rest] = part.split('=');
    if (!parameters.includes(name) || given.has(name)) {
      throw refused(uri, `of a query it takes ${parameters.join(', ')}, each once, and not ${name}`);
    }
    given.set(name, decoded(uri, rest.join('=')));
  }
  return given;
}

function decoded(uri: string, text: string): string {
  let plain = '\0';
  try {
    plain = decodeURIComponent(text);
  } catch {
    // Told below, with what cannot be in a name or a path.
  }
  if (plain.includes('\0')) throw refused(uri, `${JSON.stringify(text)} is no text in percent-encoding`);
  return plain;
}

function checkName(name: string): string {
  const length = Buffer.byteLength(name);
  if (length <= longestName) return name;
  throw rangeError('ERR_ISMIO_OPTION', `the name of an export has at most ${longestName} bytes, not ${length}`, {
    name,
  });
}

function wordsOf(base: string, target: Address['target'], name: string): string {
  const tail = `/${encoded(name)}`;
  if ('path' in target) return `${base}+unix://${tail}?socket=${encoded(target.path)}`;
  return `${base}://${target.host.includes(':') ? `[${target.host}]` : target.host}:${target.port}${tail}`;
}

function encoded(text: string): string {
  return encodeURIComponent(text).replaceAll('%2F', '/');
}

function refused(uri: string, why: string): Error {
  return rangeError('ERR_ISMIO_OPTION', `${JSON.stringify(uri)} is no URI of NBD that can be used: ${why}`, { uri });
}
