/* SPDX-License-Identifier: Apache-2.0 */
/* Fuzz target: does SDP, read, written and read again, stay what it was, and is every answer to it
 * one that we can read ourselves, with as many m-lines as the offer?
 */
#include "config.h"

#include "sip/sdp.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/secret.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *const codecs[] = {"PCMA", "PCMU", "opus", NULL};

static void
must(gboolean holds)
{
    if (!holds)
        abort();
}

static void
same_texts(char *const *a, guint n_a, char *const *b, guint n_b)
{
    must(n_a == n_b);
    for (guint i = 0; i < n_a; i++)
        must(strcmp(a[i], b[i]) == 0);
}

static void
same_media(const ClvSdpMedia *a, const ClvSdpMedia *b)
{
    must(strcmp(a->type, b->type) == 0 && a->port == b->port && strcmp(a->proto, b->proto) == 0);
    must(strcmp(a->formats, b->formats) == 0 && a->n_codecs == b->n_codecs);
    for (guint i = 0; i < a->n_codecs; i++) {
        must(a->codecs[i].pt == b->codecs[i].pt && a->codecs[i].rate_hz == b->codecs[i].rate_hz);
        must(a->codecs[i].channels == b->codecs[i].channels);
        must(strcmp(a->codecs[i].name, b->codecs[i].name) == 0);
        must(strcmp(a->codecs[i].fmtp, b->codecs[i].fmtp) == 0);
    }
    must(a->direction == b->direction && a->rtcp_mux == b->rtcp_mux && a->ptime_ms == b->ptime_ms);
    must(strcmp(a->rtp.host, b->rtp.host) == 0 && a->rtp.port == b->rtp.port);
    must(strcmp(a->rtcp.host, b->rtcp.host) == 0 && a->rtcp.port == b->rtcp.port);
    same_texts(a->keymgmt, a->n_keymgmt, b->keymgmt, b->n_keymgmt);
    same_texts(a->crypto, a->n_crypto, b->crypto, b->n_crypto);
    must(g_strcmp0(a->fingerprint, b->fingerprint) == 0 && g_strcmp0(a->setup, b->setup) == 0);
    if (a->qos.offered) {
        must(b->qos.offered && a->qos.e2e == b->qos.e2e && a->qos.local == b->qos.local);
        must(a->qos.need_local == b->qos.need_local && a->qos.need_remote == b->qos.need_remote);
        must(a->qos.wants_local == b->qos.wants_local);
        must(a->qos.wants_remote == b->qos.wants_remote && a->qos.confirm == b->qos.confirm);
    }
    must(g_strcmp0(a->label, b->label) == 0 && g_strcmp0(a->mid, b->mid) == 0);
}

static void
same(const ClvSdp *a, const ClvSdp *b)
{
    must(strcmp(a->origin_user, b->origin_user) == 0 && a->session_id == b->session_id);
    must(a->session_version == b->session_version);
    must(strcmp(a->origin.host, b->origin.host) == 0 && a->n_media == b->n_media);
    same_texts(a->keymgmt, a->n_keymgmt, b->keymgmt, b->n_keymgmt);
    for (guint i = 0; i < a->n_media; i++)
        same_media(&a->media[i], &b->media[i]);
}

static ClvSdp *
again(const ClvSdp *sdp)
{
    char *text = clv_sdp_format(sdp);
    ClvSdp *read = clv_sdp_parse(text, strlen(text), NULL);

    must(read != NULL);
    clv_secret_free_string(text);
    return read;
}

static void
answer(const ClvSdp *offer)
{
    ClvSdpLocal local = {"192.0.2.9", 1, 2, codecs};
    ClvSdpChoice choice;
    ClvSdp *sdp, *read;

    if (clv_sdp_choose(offer, &local, &choice) != CLV_CODE_OK)
        return;

    sdp = clv_sdp_answer(offer, &local, &choice, 4000, 4003, "mikey AAAA", FALSE,
                         offer->n_keymgmt > 0);
    must(sdp->n_media == offer->n_media);
    for (guint i = 0; i < sdp->n_media; i++) {
        must((sdp->media[i].port != 0) == (i == choice.media_index));
        must(strcmp(sdp->media[i].proto, offer->media[i].proto) == 0);
        must(sdp->media[i].label != NULL);
    }
    read = again(sdp);
    must(read->n_media == sdp->n_media);
    clv_sdp_free(read);
    clv_sdp_free(sdp);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    ClvSdp *once = clv_sdp_parse((const char *)data, size, NULL);
    ClvSdp *twice, *copy;

    if (once == NULL)
        return 0;

    twice = again(once);
    same(once, twice);
    copy = clv_sdp_copy(once);
    same(once, copy);
    answer(once);
    clv_sdp_free(copy);
    clv_sdp_free(twice);
    clv_sdp_free(once);
    return 0;
}
