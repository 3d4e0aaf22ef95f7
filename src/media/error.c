/* SPDX-License-Identifier: Apache-2.0 */
/* media/error.c - the error domain of the media room */
#include "media/media.h"

G_DEFINE_QUARK(clv_media_error, clv_media_error)
