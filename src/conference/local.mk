# SPDX-License-Identifier: Apache-2.0
noinst_LTLIBRARIES += libclv-conference.la
libclv_conference_la_SOURCES = %D%/conference.h %D%/conference-private.h %D%/vocabulary.h \
	%D%/allowed.c %D%/dial.c %D%/factory.c %D%/judge.c %D%/leave.c %D%/life.c \
	%D%/look.c %D%/plan.c %D%/refer.c %D%/roster.c %D%/say.c %D%/step.c %D%/tries.c %D%/wait.c
libclv_conference_la_CFLAGS = $(AM_CFLAGS) $(GLIB_CFLAGS)
libclv_conference_la_LIBADD = libclv-policy.la libclv-base.la $(GLIB_LIBS)

check_PROGRAMS += tests/unit/test-conference
TESTS += tests/unit/test-conference
tests_unit_test_conference_SOURCES = tests/unit/test-conference.c tests/unit/conference-law.c \
	tests/unit/conference-law.h tests/unit/conference-play.c tests/unit/conference-play.h tests/unit/conference-print.c
tests_unit_test_conference_CFLAGS = $(AM_CFLAGS) $(GLIB_CFLAGS) -I$(srcdir)/tests/unit
tests_unit_test_conference_LDFLAGS = $(AM_LDFLAGS) -Wl,--wrap=g_free
tests_unit_test_conference_LDADD = libclv-conference.la libclv-policy.la libclv-base.la $(TEST_LIBS)
EXTRA_DIST += tests/vectors/transcripts
