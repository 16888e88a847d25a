// The interrupts of a function: the one that says that there is something to look at, and that of its platform's errors.
import { hex, IsmioError } from '../../support/errors.js';
import type { VfioIrq } from '../../vfio/irq.js';
import type { PciDevice } from '../../vfio/pci-device.js';

/** @throws IsmioError ERR_ISMIO_ISM where there is none; ERR_ISMIO_DEVICE_BUSY where somebody else has it */
export function hearNews(device: PciDevice, heard: () => void): VfioIrq {
  const irq = [device.irq('msix'), device.irq('msi')].find(({ count }) => count > 0);
  if (irq === undefined) throw new IsmioError('ERR_ISMIO_ISM', `${device.name} has neither MSI-X nor MSI`);
  if (irq.enabled > 0) {
    throw new IsmioError('ERR_ISMIO_DEVICE_BUSY', `${device.name} has a driver, which has enabled ${irq.name}`);
  }
  irq.enable(1);
  irq.on('interrupt', heard);
  return irq;
}

/** Of a platform that tells of them. While it has errors, the function answers nothing. */
export function hearErrors(device: PciDevice, heard: () => void): void {
  if (!device.info.irqs.some(({ name }) => name === 'err')) return;
  const errors = device.irq('err');
  // What keeps the process running is the other interrupt.
  if (errors.enabled === 0) errors.unref().enable(1);
  errors.on('interrupt', heard);
}

/** What a driver says when its platform has told of an error. */
export function inError(device: PciDevice): IsmioError {
  const reports = device.errorReports();
  const codes = reports.map(({ eventCode }) => hex(eventCode)).join(', ') || 'none';
  const text = `${device.name} is in error, and has lost what was registered; close it and open it again. Event codes: ${codes}`;
  return new IsmioError('ERR_ISMIO_REGION_LOST', text, { reason: 'device', reports });
}
