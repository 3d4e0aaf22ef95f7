/* SPDX-License-Identifier: Apache-2.0 */
/* Fuzz target: lines of the control socket. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include "admin/control.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    g_autoptr(ClvReport) report = clv_report_new();
    g_autofree char *text = NULL;
    ClvCommand command;

    if (!clv_command_parse((const char *)data, size, &command, NULL))
        return 0;
    if (command.verb >= CLV_N_VERBS)
        abort();
    clv_report_text(report, "first", command.args[0]);
    clv_report_text(report, "second", command.args[1]);
    text = clv_report_print(report, command.json);
    clv_command_clear(&command);
    return 0;
}
