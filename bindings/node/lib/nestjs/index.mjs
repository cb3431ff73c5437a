// SPDX-License-Identifier: MIT
import nestjs from './index.js';

export const { Cached, CircuitBreaker, Invalidates, Profiled, SugarperfHealth, SugarperfModule } = nestjs;
export default nestjs;
