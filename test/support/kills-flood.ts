// A process that posts to the device at the path that is its argument more than that takes, until it is killed: memory decode is off,
// so all of it is refused, and the server's program has as much to hear of.
import { command, pack, RawClient } from './vfio-user-client.js';

const [, , path] = process.argv;
if (path === undefined) throw new Error('usage: kills-flood.js PATH');
const client = await RawClient.connect(path);
const write = pack(0x10n, 0, 8, 0n);
const turn = () => {
  for (let i = 0; i < 64; i++) client.post(command.regionWrite, write);
  client.read(0, 0x10n, 8).then(() => setImmediate(turn));
};
turn();
console.log('on');
