# SPDX-License-Identifier: Apache-2.0
noinst_LTLIBRARIES += libclv-policy.la
libclv_policy_la_SOURCES = %D%/policy.h %D%/policy-private.h %D%/load-private.h \
	%D%/decide-private.h %D%/answer.c %D%/check.c %D%/decide.c %D%/effective.c %D%/files.c \
	%D%/format.c %D%/groups.c %D%/ids.c %D%/keys.c %D%/lint.c %D%/meet.c %D%/parse.c %D%/peers.c \
	%D%/pin.c %D%/rule.c %D%/set.c %D%/tie.c %D%/values.c %D%/view.c
libclv_policy_la_CFLAGS = $(AM_CFLAGS) $(GLIB_CFLAGS) $(CRYPTO_CFLAGS)
libclv_policy_la_LIBADD = libclv-base.la $(GLIB_LIBS) $(CRYPTO_LIBS)

check_PROGRAMS += tests/unit/test-policy
TESTS += tests/unit/test-policy
tests_unit_test_policy_SOURCES = tests/unit/test-policy.c
tests_unit_test_policy_CFLAGS = $(AM_CFLAGS) $(GLIB_CFLAGS)
tests_unit_test_policy_LDADD = libclv-policy.la libclv-base.la $(TEST_LIBS)

dist_man_MANS += man/conclave-policy.5
EXTRA_DIST += etc/policy.conf etc/policies/lab.conf
