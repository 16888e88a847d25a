// Runs the guests that are named, or all of them. Each is a module of tests of the host, which start a guest, show what
// its own tests say, and look at what it left behind. Figures that no guest can give are the host's.
import { need, type Tools } from './support/tools.js';

/** For Debian's packages, an archive of them, and a guest that ends in time. */
const anyGuest: Tools = {
  'apt-get': 'apt',
  dpkg: 'dpkg',
  flock: 'util-linux',
  find: 'findutils',
  cpio: 'cpio',
  xz: 'xz-utils',
  tar: 'tar',
  make: 'make',
  timeout: 'coreutils',
};

/** Where the cross-compiler's libraries are. */
const s390x = '/usr/s390x-linux-gnu/lib';

const guests: Readonly<Record<string, { readonly tools: Tools; readonly load: () => Promise<unknown> }>> = {
  'x86-64': {
    tools: {
      ...anyGuest,
      'qemu-system-x86_64': 'qemu-system-x86',
      zstd: 'zstd',
      gcc: 'gcc',
      strip: 'binutils',
      'mkfs.ext4': 'e2fsprogs',
      agetty: 'util-linux',
    },
    load: () => import('./x86-64/host.js'),
  },
  nbd: {
    tools: {
      ...anyGuest,
      'qemu-system-x86_64': 'qemu-system-x86',
      zstd: 'zstd',
      'mkfs.ext4': 'e2fsprogs',
      e2fsck: 'e2fsprogs',
      fstrim: 'util-linux',
    },
    load: () => import('./nbd/host.js'),
  },
  s390x: {
    tools: {
      ...anyGuest,
      npm: 'npm',
      python3: 'python3',
      's390x-linux-gnu-g++': 'g++-s390x-linux-gnu',
      's390x-linux-gnu-gcc': 'gcc-s390x-linux-gnu',
      's390x-linux-gnu-strip': 'binutils-s390x-linux-gnu',
      [`${s390x}/libc.so.6`]: 'libc6-s390x-cross',
      [`${s390x}/libstdc++.so.6`]: 'libstdc++6-s390x-cross',
      [`${s390x}/libatomic.so.1`]: 'libatomic1-s390x-cross',
    },
    load: () => import('./s390x/host.js'),
  },
  'smc-d': {
    tools: {
      ...anyGuest,
      's390x-linux-gnu-gcc': 'gcc-s390x-linux-gnu',
      's390x-linux-gnu-strip': 'binutils-s390x-linux-gnu',
      [`${s390x}/libc.a`]: 'libc6-dev-s390x-cross',
    },
    load: () => import('./smc-d/host.js'),
  },
  figures: { tools: { gcc: 'gcc' }, load: () => import('./figures/host.js') },
};

const names = process.argv.length > 2 ? process.argv.slice(2) : Object.keys(guests);
const wanted = names.map((name) => {
  const guest = Object.hasOwn(guests, name) ? guests[name] : undefined;
  if (guest === undefined) throw new Error(`no guest is called '${name}'; there are ${Object.keys(guests).join(', ')}`);
  return guest;
});
// All that is missing is told before anything is downloaded, built or run.
need(Object.assign({}, ...wanted.map(({ tools }) => tools)));
for (const { load } of wanted) await load();
