/* SPDX-License-Identifier: Apache-2.0 */
/* daemon/watch.h - tells when watched files were edited
 *
 * inotify on the folders of the files (editors rename); settles for 200 ms before it calls.
 */
#pragma once

#include "sip/loop.h"

typedef struct ClvWatch ClvWatch;

/* files: paths of files or folders; NULL entries are passed over. Never fails: without inotify
 * nothing is told, and SIGHUP or conclavectl reload remain. */
ClvWatch *clv_watch_new(ClvLoop *loop, const char *const *files, guint n_files,
                        void (*changed)(void *user), void *user);
void clv_watch_free(ClvWatch *watch); /* NULL allowed */
