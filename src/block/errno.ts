// Which errnos a disk's failure has at the far end of an export, whatever the export is.

/** Every number that passes a client of NBD as it is; they are those of Linux. */
export const errno = {
  EPERM: 1,
  EIO: 5,
  ENOMEM: 12,
  EINVAL: 22,
  ENOSPC: 28,
  EOVERFLOW: 75,
  ENOTSUP: 95,
  ESHUTDOWN: 108,
} as const;

export type Errno = keyof typeof errno;

const errnoOfSystem: Readonly<Record<string, Errno>> = {
  EPERM: 'EPERM',
  EACCES: 'EPERM',
  EROFS: 'EPERM',
  ENOMEM: 'ENOMEM',
  EINVAL: 'EINVAL',
  ENOSPC: 'ENOSPC',
  EDQUOT: 'ENOSPC',
  EFBIG: 'ENOSPC',
  EOVERFLOW: 'EOVERFLOW',
  ENOTSUP: 'ENOTSUP',
  EOPNOTSUPP: 'ENOTSUP',
  ESHUTDOWN: 'ESHUTDOWN',
  ERR_ISMIO_OUT_OF_RANGE: 'EINVAL',
  ERR_ISMIO_NO_MEMORY: 'ENOMEM',
  ERR_ISMIO_READ_ONLY: 'EPERM',
  ERR_ISMIO_CLOSED: 'ESHUTDOWN',
};

/** What a client is told of a disk's failure. Of any other number it would make EINVAL, which would be its own fault. */
export function errnoOf(error: unknown): Errno {
  const { errno: name, code } = (error ?? {}) as { errno?: unknown; code?: unknown };
  return errnoOfSystem[String(name)] ?? errnoOfSystem[String(code)] ?? 'EIO';
}

const names = new Map<number, Errno>(Object.entries(errno).map(([name, number]) => [number, name as Errno]));

/** The errno of a number that came from the far end; undefined where it is none of them. */
export function nameOfErrno(number: number): Errno | undefined {
  return names.get(number);
}
