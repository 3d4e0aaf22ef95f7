/* SPDX-License-Identifier: Apache-2.0 */
/* kms/crowd.h - who is connected, and who makes room when it gets full? inside of the room
 *
 * Silent connections must not keep others out: when three quarters of the places are taken, the
 * one that has done nothing for longest is shut down. Thread safe.
 */
#pragma once

#include <glib.h>

typedef struct ClvKmsCrowd ClvKmsCrowd;
typedef struct ClvKmsGuest ClvKmsGuest;

ClvKmsCrowd *clv_kms_crowd_new(guint places);
void clv_kms_crowd_free(ClvKmsCrowd *crowd); /* everybody has left */
/* @out_cut: whether another one had to go */
ClvKmsGuest *clv_kms_crowd_enter(ClvKmsCrowd *crowd, int fd, gint64 now_us, gboolean *out_cut);
/* Before the descriptor is closed. */
void clv_kms_crowd_leave(ClvKmsCrowd *crowd, ClvKmsGuest *guest);
void clv_kms_crowd_begin(ClvKmsCrowd *crowd, ClvKmsGuest *guest, gint64 now_us);
void clv_kms_crowd_end(ClvKmsCrowd *crowd, ClvKmsGuest *guest, gint64 now_us);
/* Waits until no request is under way, or until @deadline_us of the monotonic clock. */
gboolean clv_kms_crowd_settle(ClvKmsCrowd *crowd, gint64 deadline_us);
