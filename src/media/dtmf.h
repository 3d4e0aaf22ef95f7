/* SPDX-License-Identifier: Apache-2.0 */
/* media/dtmf.h - which keys does a stream of telephone events say were pressed (RFC 4733)
 *
 * Pure. One press is told by many packets, any of which may be lost, repeated or overtaken; it is
 * known by its key and the stretch of time that it lasts, and it is taken down once.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CLV_DTMF_MAX_REPORTS 16 /* of one packet; one is the rule */
#define CLV_DTMF_MEMORY 16      /* presses that a late packet may still speak of */

typedef struct ClvDtmfPress {
    uint8_t code;
    bool marked, ended;
    uint32_t start;   /* timestamps: of the press, */
    uint32_t segment; /* of its latest segment, when it lasts longer than 16 bits can say, */
    uint32_t end;     /* and as far as it is known to last */
} ClvDtmfPress;

typedef struct ClvDtmf {
    unsigned n, last; /* presses known; the one that was noted last */
    ClvDtmfPress presses[CLV_DTMF_MEMORY];
} ClvDtmf;

typedef struct ClvDtmfTaken {
    unsigned n;
    char keys[CLV_DTMF_MAX_REPORTS]; /* '0'-'9', '*', '#', 'A'-'D', in the order of the packet */
    bool malformed;                  /* something in it was no key, or no report at all */
} ClvDtmfTaken;

void clv_dtmf_init(ClvDtmf *dtmf); /* also after a change of SSRC */

/* The payload of one packet; what comes out are presses that nobody has told of before. */
void clv_dtmf_take(ClvDtmf *dtmf, uint32_t timestamp, bool marker, const uint8_t *payload,
                   size_t len, ClvDtmfTaken *out);
