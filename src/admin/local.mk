# SPDX-License-Identifier: Apache-2.0
noinst_LTLIBRARIES += libclv-control.la
libclv_control_la_SOURCES = %D%/control.h %D%/control.c
libclv_control_la_CFLAGS = $(AM_CFLAGS) $(GLIB_CFLAGS)
libclv_control_la_LIBADD = libclv-report.la

noinst_LTLIBRARIES += libclv-metrics.la
libclv_metrics_la_SOURCES = %D%/metrics.h %D%/metrics.c
libclv_metrics_la_CFLAGS = $(AM_CFLAGS) $(GLIB_CFLAGS) $(MHD_CFLAGS)

bin_PROGRAMS += conclavectl
conclavectl_SOURCES = %D%/ctl-main.c
conclavectl_CFLAGS = $(AM_CFLAGS) $(GLIB_CFLAGS)
conclavectl_LDADD = libclv-report.la $(CHECK_LIBS) $(GLIB_LIBS) $(CRYPTO_LIBS) $(SYSTEMD_LIBS)

noinst_LTLIBRARIES += libclv-report.la
libclv_report_la_SOURCES = %D%/report.h %D%/report.c %D%/command.h %D%/command.c
libclv_report_la_CFLAGS = $(AM_CFLAGS) $(GLIB_CFLAGS)

check_PROGRAMS += tests/unit/test-report tests/unit/test-control tests/unit/test-metrics
TESTS += tests/unit/test-report tests/unit/test-control tests/unit/test-metrics
tests_unit_test_report_SOURCES = tests/unit/test-report.c
tests_unit_test_report_CFLAGS = $(AM_CFLAGS) $(GLIB_CFLAGS)
tests_unit_test_report_LDADD = libclv-report.la $(TEST_LIBS)
tests_unit_test_control_SOURCES = tests/unit/test-control.c
tests_unit_test_control_CFLAGS = $(AM_CFLAGS) $(GLIB_CFLAGS)
tests_unit_test_control_LDADD = libclv-control.la libclv-sip.la libclv-base.la $(SOFIA_LIBS) \
	$(SSL_LIBS) $(TEST_LIBS)
tests_unit_test_metrics_SOURCES = tests/unit/test-metrics.c
tests_unit_test_metrics_CFLAGS = $(AM_CFLAGS) $(GLIB_CFLAGS)
tests_unit_test_metrics_LDADD = libclv-metrics.la libclv-sip.la libclv-base.la $(SOFIA_LIBS) \
	$(SSL_LIBS) $(MHD_LIBS) $(TEST_LIBS) -lm
