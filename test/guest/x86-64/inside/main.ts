// The tests that run in the x86-64 guest: main.js WORK MODULES.
import './kernel.js';
import './registers.js';
import './dma.js';
import './interrupts.js';
import './memory.js';
import './faults.js';
import './opening.js';
