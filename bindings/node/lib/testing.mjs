// SPDX-License-Identifier: MIT
import testing from './testing.js';

export const { Answers, failure } = testing;
export default testing;
