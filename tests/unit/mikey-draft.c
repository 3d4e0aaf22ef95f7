/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/mikey-draft.h"

#include <string.h>

void
draft_open(Draft *d, MikeyBytes octets)
{
    memset(d, 0, sizeof(*d));
    assert_status(mikey_message_parse(octets, &d->message), MIKEY_OK);
    d->header = *mikey_message_header(d->message);
    g_assert_cmpuint(d->header.n_cs, <=, G_N_ELEMENTS(d->cs));
    memcpy(d->cs, d->header.cs, d->header.n_cs * sizeof(*d->cs));
    d->header.cs = d->cs;
    d->n = mikey_message_n_payloads(d->message);
    g_assert_cmpuint(d->n, <, G_N_ELEMENTS(d->payloads));
    for (gsize i = 0; i < d->n; i++)
        d->payloads[i] = *mikey_message_payload(d->message, i);
}

MikeyPayload *
draft_find(Draft *d, guint8 number)
{
    for (gsize i = 0; i < d->n; i++) {
        if (d->payloads[i].number == number)
            return &d->payloads[i];
    }
    g_error("no payload %u", number);
}

void
draft_add(Draft *d, const MikeyPayload *payload)
{
    g_assert_cmpuint(d->n, <, G_N_ELEMENTS(d->payloads));
    d->payloads[d->n] = d->payloads[d->n - 1];
    d->payloads[d->n - 1] = *payload;
    d->n++;
}

void
draft_drop(Draft *d, guint8 number)
{
    MikeyPayload *p = draft_find(d, number);

    memmove(p, p + 1, (gsize)(d->payloads + d->n - p - 1) * sizeof(*p));
    d->n--;
}

MikeyBuffer
draft_octets(Draft *d)
{
    MikeyWriter w = MIKEY_WRITER_INIT;
    MikeyBuffer out = MIKEY_BUFFER_INIT;

    d->header.next = d->payloads[0].number;
    mikey_header_write(&w, &d->header);
    for (gsize i = 0; i < d->n; i++)
        mikey_payload_write(&w, i + 1 < d->n ? d->payloads[i + 1].number : 0, &d->payloads[i]);
    assert_status(mikey_writer_finish(&w, &out), MIKEY_OK);
    return out;
}

MikeyBuffer
draft_close(Draft *d, const MikeyKey *auth, MikeyBytes tail)
{
    MikeyBuffer out = draft_octets(d);
    gsize len = 0;

    if (auth != NULL) {
        guint8 alg = draft_find(d, MIKEY_V)->u.v.alg;
        gsize at = out.len - mikey_mac_len(alg);
        MikeyBytes parts[2] = {mikey_bytes(out.data, at), tail};

        assert_status(mikey_mac(alg, auth, parts, 2, out.data + at, &len), MIKEY_OK);
    }
    mikey_message_free(d->message);
    return out;
}
