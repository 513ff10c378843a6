/*
 * For sources of triggers that were written for PyREBox, which include Python's header first of all. There is no Python in
 * rebox: a trigger hands values to its script with set_var_uint64(), set_var_string() and set_var_bytes().
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef REBOX_PYREBOX_PYTHON_H
#define REBOX_PYREBOX_PYTHON_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Only its pointers can be used. */
typedef struct _object PyObject;

#endif
