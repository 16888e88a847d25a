// Runs the guests that are named, or all of them. Each is a module of tests of the host, which start a guest, show what
// its own tests say, and look at what it left behind. Figures that no guest can give are the host's.

const guests = {
  'x86-64': () => import('./x86-64/host.js'),
  s390x: () => import('./s390x/host.js'),
  figures: () => import('./figures/host.js'),
};

const names = process.argv.length > 2 ? process.argv.slice(2) : Object.keys(guests);
for (const name of names) {
  const load = (guests as Record<string, () => Promise<unknown>>)[name];
  if (load === undefined) throw new Error(`no guest is called '${name}'; there are ${Object.keys(guests).join(', ')}`);
  await load();
}
