// Registers of a 16550A, for the device (serial.ts, uart.ts) and its driver (serial-driver.ts). Source: National Semiconductor
// PC16550D, Universal Asynchronous Receiver/Transmitter with FIFOs, 8.
import { registerMap } from 'ismio/device';

export const uartMap = registerMap({
  registers: {
    received: { at: 0, width: 1, access: 'ro' },
    transmit: { at: 0, width: 1, access: 'wo' },
    interruptEnable: { at: 1, width: 1, bits: { received: 0, empty: 1, line: 2, modem: 3 } },
    interruptId: { at: 2, width: 1, access: 'ro', reset: 1, bits: { none: 0, id: [1, 3], fifo: [6, 7] } },
    fifoControl: {
      at: 2,
      width: 1,
      access: 'wo',
      bits: { enable: 0, clearReceived: 1, clearTransmit: 2, dma: 3, trigger: [6, 7] },
    },
    /** `latch`: the divisor is where `received`, `transmit` and `interruptEnable` are. */
    lineControl: { at: 3, width: 1, bits: { length: [0, 1], stop: 2, parity: [3, 5], break: 6, latch: 7 } },
    modemControl: {
      at: 4,
      width: 1,
      bits: { terminalReady: 0, requestToSend: 1, out1: 2, out2: 3, loop: 4 },
    },
    /** `empty`: there is room for bytes to send; `idle`: all are sent. */
    lineStatus: {
      at: 5,
      width: 1,
      access: 'ro',
      reset: 0x60,
      bits: { ready: 0, overrun: 1, parity: 2, framing: 3, break: 4, empty: 5, idle: 6, fifo: 7 },
    },
    /** Those with `changed` are since the load before; `ringEnded` as well. */
    modemStatus: {
      at: 6,
      width: 1,
      access: 'ro',
      bits: {
        clearChanged: 0,
        setChanged: 1,
        ringEnded: 2,
        carrierChanged: 3,
        clearToSend: 4,
        dataSetReady: 5,
        ring: 6,
        carrier: 7,
      },
    },
    scratch: { at: 7, width: 1 },
  },
});

/** While `lineControl` has `latch`. The clock of 1.8432 MHz is divided by it and by 16. */
export const latchMap = registerMap({ registers: { low: { at: 0, width: 1 }, high: { at: 1, width: 1 } } });

/** Bauds of divisor 1. */
export const baudBase = 115_200;
/** Bytes that each FIFO holds. */
export const fifoBytes = 16;

/** Why it interrupts, in `id` of `interruptId`: the highest of those that wait. */
export const cause = { modem: 0, empty: 1, received: 2, line: 3, idle: 6 } as const;
