/** The library for a plain script tag: `Tenbells.connect(…)`. */
import { connect } from './tenbells.js';

Object.assign(globalThis, { Tenbells: { connect } });
