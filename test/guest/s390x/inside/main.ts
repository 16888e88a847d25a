// The tests that run in the s390x guest.
import './doctor.js';
import './ism.js';
import './refused.js';
import './plain.js';
import './witness.js';
import './ratio.js';
import './fabric.js';
import './faults.js';
