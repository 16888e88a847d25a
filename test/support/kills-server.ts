// A process that serves a device at the path that is its argument, until it is killed.
import { serve } from 'ismio/device';
import { killsDevice } from './kills-device.js';

const [, , path] = process.argv;
if (path === undefined) throw new Error('usage: kills-server.js PATH');
await serve(killsDevice(), { path });
console.log('ready');
