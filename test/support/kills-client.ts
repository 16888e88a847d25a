// A process that drives the device at the path that is its argument, until it is killed: loads, posted blocks, mapped memory,
// DMA of both kinds, interrupts.
import { allocBuffer, openVfioUser } from 'ismio';

const [, , path] = process.argv;
if (path === undefined) throw new Error('usage: kills-client.js PATH');
const driver = openVfioUser(path, { posted: true });
driver.enableMemory();
driver.enableBusMaster();
driver.irq('msix').enable();
const [registers, memory] = [driver.region(0), driver.region(2)];
const addresses = [true, false].map((shared) => Number(driver.dmaMap(allocBuffer(4096, { shared })).iova));
const block = new Uint8Array(1024);
const turn = () => {
  for (let i = 0; i < 50; i++) {
    for (const address of addresses) registers.store64(8, BigInt(address));
    memory.storeBlock(1024, block);
    registers.load32(16);
  }
  setImmediate(turn);
};
turn();
console.log('on');
