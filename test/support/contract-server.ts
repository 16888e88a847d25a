// A process that serves the contract's device at the path that is its argument, until its standard input ends.
import { serve } from 'ismio/device';
import { contractDevice } from './contract.js';

const [, , path] = process.argv;
if (path === undefined) throw new Error('usage: contract-server.js PATH');
const server = await serve(contractDevice(), { path });
console.log('ready');
process.stdin.resume().on('end', () => server.close());
