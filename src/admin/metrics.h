/* SPDX-License-Identifier: Apache-2.0 */
/* admin/metrics.h - figures for Prometheus: the text, and a port that serves it
 *
 * The text (exposition format 0.0.4) is pure. The port is a libmicrohttpd without threads of its
 * own: it runs in the loop that it is given, so that whoever renders reads his own state.
 */
#pragma once

#include <glib.h>

#include "sip/loop.h"

/* ---- text ---- */
typedef struct ClvMetrics ClvMetrics;

ClvMetrics *clv_metrics_new(void);
void clv_metrics_free(ClvMetrics *metrics);
/* Starts a family; type: "counter", "gauge" or "histogram". Its samples follow at once. */
void clv_metrics_family(ClvMetrics *metrics, const char *name, const char *type, const char *help);
/* suffix: (nullable) "_bucket". Then label and value pairs, ended by NULL. */
void clv_metrics_sample(ClvMetrics *metrics, const char *suffix, double value,
                        ...) G_GNUC_NULL_TERMINATED;
/* A family with one sample that has no label. */
void clv_metrics_one(ClvMetrics *metrics, const char *name, const char *type, const char *help,
                     double value);
const char *clv_metrics_text(const ClvMetrics *metrics);

/* ---- port ---- */
#define CLV_METRICS_ERROR (clv_metrics_error_quark())
GQuark clv_metrics_error_quark(void);

typedef void (*ClvMetricsRender)(ClvMetrics *metrics, void *user);
typedef struct ClvMetricsPort ClvMetricsPort;

/* listen: "127.0.0.1:9464", "[::1]:0", or a port alone for 127.0.0.1. Anything but loopback is an
 * error unless allow_remote. render is called in the loop, once for each GET. */
ClvMetricsPort *clv_metrics_port_new(ClvLoop *loop, const char *listen, gboolean allow_remote,
                                     ClvMetricsRender render, void *user, GError **error);
void clv_metrics_port_free(ClvMetricsPort *port);             /* NULL allowed */
const char *clv_metrics_port_url(const ClvMetricsPort *port); /* with the real port */

G_DEFINE_AUTOPTR_CLEANUP_FUNC(ClvMetrics, clv_metrics_free)
