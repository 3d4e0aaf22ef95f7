/* SPDX-License-Identifier: Apache-2.0 */
/* Fuzz target: the body of a NOTIFY about a REFER; what is read is written and read again */
#include "config.h"

#include "ua/sipfrag.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    g_autofree char *phrase = NULL, *again = NULL, *text = NULL;
    guint status = 0, status_again = 0;

    if (!clv_ua_sipfrag_parse((const char *)data, size, &status, &phrase))
        return 0;
    if (status < 100 || status > 699 || strpbrk(phrase, "\r\n") != NULL)
        abort();
    text = clv_ua_sipfrag_format(status, phrase);
    if (!clv_ua_sipfrag_parse(text, strlen(text), &status_again, &again) ||
        status_again != status || strcmp(again, phrase) != 0)
        abort();
    return 0;
}
