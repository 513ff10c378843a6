/*
 * For sources of triggers that were written for PyREBox: rebox_trigger.h has what they expect here.
 *
 * SPDX-License-Identifier: GPL-2.0-or-later
 */
#ifndef REBOX_PYREBOX_TRIGGER_HELPERS_H
#define REBOX_PYREBOX_TRIGGER_HELPERS_H

#include "callbacks.h"

#endif
