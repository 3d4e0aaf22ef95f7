/* SPDX-License-Identifier: Apache-2.0 */
/* Is any text posted as an announcement read within its bounds, and never believed without proof? */
#include "config.h"

#include <string.h>

#include "kms/listing.h"
#include "unit/kms-parties.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    g_autofree guint8 *octets = size > 0 ? g_memdup2(data, size) : g_new0(guint8, 1);
    g_autoptr(ClvKmsService) service = NULL;
    ClvKmsDecision decision;
    ClvKmsList list;
    guint status;

    if (!clv_kms_list_parse(octets, size, &list))
        return 0;
    g_assert_cmpuint(list.covered, <=, size);
    service = parties_service("[service conf3]\nuser = conf1\nhost = example.org\n"
                              "conferences = list\n");
    status = clv_kms_service_list(service, octets, size, list.made_us, "conf1", &decision);
    g_assert_cmpint(decision.granted, ==, status == 200);
    g_assert_true(status != 200 || strcmp(list.user, "conf1") == 0);
    if (!list.has_mac)
        g_assert_cmpuint(
            clv_kms_service_list(service, octets, size, list.made_us, NULL, &decision), ==, 403);
    clv_kms_list_clear(&list);
    return 0;
}
