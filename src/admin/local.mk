# SPDX-License-Identifier: Apache-2.0
noinst_LTLIBRARIES += libclv-control.la
libclv_control_la_SOURCES = %D%/control.h %D%/control.c
libclv_control_la_CFLAGS = $(AM_CFLAGS) $(GLIB_CFLAGS)
libclv_control_la_LIBADD = libclv-report.la

bin_PROGRAMS += conclavectl
conclavectl_SOURCES = %D%/ctl-main.c
conclavectl_CFLAGS = $(AM_CFLAGS) $(GLIB_CFLAGS)
conclavectl_LDADD = libclv-config.la libclv-report.la libclv-policy.la libclv-base.la $(GLIB_LIBS) \
	$(CRYPTO_LIBS) $(SYSTEMD_LIBS)

noinst_LTLIBRARIES += libclv-report.la
libclv_report_la_SOURCES = %D%/report.h %D%/report.c
libclv_report_la_CFLAGS = $(AM_CFLAGS) $(GLIB_CFLAGS)
