// A timer with MSI-X: a device of seven registers, all of it here. It shows a register map that device and driver share
// (timer-driver.ts is the driver), a register that is worked out when it is loaded, and a vector for each thing to tell.
//
//   npx ismio serve --example timer --socket /tmp/timer.sock
//
// The host's clock may be late. Periods that have gone by meanwhile are counted all the same, and the driver is told that it
// missed some.
import { type Device, defineDevice, registerMap } from 'ismio/device';

export const timerIds = { vendor: 0x1234, device: 0x7133 } as const;

/** Which vector tells what. */
export const vector = { expired: 0, missed: 1 } as const;

export const timerMap = registerMap({
  registers: {
    /** 'TIMR'. */
    identity: { at: 0x00, width: 4, access: 'ro', reset: 0x524d4954 },
    /** Enabled, it expires after each period; without `periodic` it expires once, and is then disabled. */
    control: { at: 0x04, width: 4, bits: { enable: 0, periodic: 1 } },
    /** `missed`: it expired again before `expired` was cleared. */
    status: { at: 0x08, width: 4, access: 'w1c', bits: { expired: 0, missed: 1 } },
    /** How often it expired since it was enabled. */
    count: { at: 0x0c, width: 4, access: 'ro' },
    /** In nanoseconds; with 0 it is disabled. */
    period: { at: 0x10, width: 8, halves: true },
    /** Nanoseconds until it expires; 0 while it is disabled. */
    left: { at: 0x18, width: 8, access: 'ro', halves: true },
    /** Nanoseconds since the device was made. */
    time: { at: 0x20, width: 8, access: 'ro', halves: true },
  },
});

export function timer(): Device {
  const made = process.hrtime.bigint();
  const values = timerMap.values();
  const { control, status } = timerMap.bits;
  let next = 0n;
  let alarm: NodeJS.Timeout | undefined;

  /** Sleeps until the next expiry; less than a millisecond is slept as one. */
  function sleep(): void {
    clearTimeout(alarm);
    const milliseconds = Number(next - process.hrtime.bigint()) / 1e6;
    alarm = setTimeout(expire, Math.min(Math.max(milliseconds, 0), 2 ** 31 - 1));
  }

  function expire(): void {
    if (device.closed) return;
    const late = process.hrtime.bigint() - next;
    if (late < 0n) {
      sleep();
      return;
    }
    const periodic = (values.control & control.periodic) !== 0;
    const times = periodic ? late / values.period + 1n : 1n;
    next += times * values.period;
    values.count = Number(BigInt.asUintN(32, BigInt(values.count) + times));
    const missed = times > 1n || (values.status & status.expired) !== 0;
    values.status |= status.expired | (missed ? status.missed : 0);
    if (periodic) sleep();
    else values.control &= ~control.enable;
    device.interrupt('msix', vector.expired);
    if (missed) device.interrupt('msix', vector.missed);
  }

  function controlled(value: number, before: number): void {
    const enabled = (value & control.enable) !== 0;
    if (enabled === ((before & control.enable) !== 0)) return;
    clearTimeout(alarm);
    if (!enabled) return;
    if (values.period === 0n) {
      disable();
      return;
    }
    values.count = 0;
    next = process.hrtime.bigint() + values.period;
    sleep();
  }

  /** A period that is changed counts from the next expiry on. */
  function perioded(value: bigint): void {
    if (value === 0n) disable();
  }

  function disable(): void {
    clearTimeout(alarm);
    values.control &= ~control.enable;
  }

  function stop(): void {
    clearTimeout(alarm);
    timerMap.reset(values);
  }

  const device = defineDevice({
    name: 'timer',
    ...timerIds,
    classCode: 0x080200, // system peripheral, timer
    regions: {
      0: {
        size: 4096,
        ...timerMap.handlers({
          values,
          load: {
            left: () => ((values.control & control.enable) === 0 ? 0n : positive(next - process.hrtime.bigint())),
            time: () => process.hrtime.bigint() - made,
          },
          store: { control: controlled, period: perioded },
        }),
      },
    },
    interrupts: { msix: 2 },
    reset: stop,
  });
  device.on('close', stop);
  return device;
}

function positive(value: bigint): bigint {
  return value > 0n ? value : 0n;
}

export default timer;
