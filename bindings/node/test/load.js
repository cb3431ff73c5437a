// SPDX-License-Identifier: MIT
'use strict';
/* Says why the package cannot be loaded. */
try {
    require('..');
    console.log('loaded');
} catch (error) {
    console.log(error.message);
}
