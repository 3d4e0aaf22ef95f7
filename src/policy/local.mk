# SPDX-License-Identifier: Apache-2.0
noinst_LTLIBRARIES += libclv-policy.la
libclv_policy_la_SOURCES = %D%/policy.h %D%/policy-private.h %D%/load-private.h \
	%D%/decide-private.h %D%/answer.c %D%/check.c %D%/decide.c %D%/effective.c %D%/files.c \
	%D%/format.c %D%/groups.c %D%/ids.c %D%/keys.c %D%/lint.c %D%/meet.c %D%/parse.c %D%/peers.c \
	%D%/pin.c %D%/rule.c %D%/set.c %D%/tie.c %D%/values.c %D%/view.c
libclv_policy_la_CFLAGS = $(AM_CFLAGS) $(GLIB_CFLAGS) $(CRYPTO_CFLAGS)
libclv_policy_la_LIBADD = libclv-base.la $(GLIB_LIBS) $(CRYPTO_LIBS)

POLICY_TESTS = tests/unit/test-policy tests/unit/test-policy-calls \
	tests/unit/test-policy-lint tests/unit/test-policy-operator tests/unit/test-policy-property
check_PROGRAMS += $(POLICY_TESTS)
TESTS += $(POLICY_TESTS)
tests_unit_test_policy_SOURCES = tests/unit/test-policy.c
tests_unit_test_policy_CFLAGS = $(AM_CFLAGS) $(GLIB_CFLAGS)
tests_unit_test_policy_LDADD = libclv-policy.la libclv-base.la $(TEST_LIBS)
tests_unit_test_policy_calls_SOURCES = tests/unit/test-policy-calls.c
tests_unit_test_policy_calls_CFLAGS = $(AM_CFLAGS) $(GLIB_CFLAGS)
tests_unit_test_policy_calls_LDADD = libclv-policy.la libclv-base.la $(TEST_LIBS)
tests_unit_test_policy_lint_SOURCES = tests/unit/test-policy-lint.c
tests_unit_test_policy_lint_CFLAGS = $(AM_CFLAGS) $(GLIB_CFLAGS)
tests_unit_test_policy_lint_LDADD = libclv-policy.la libclv-base.la $(TEST_LIBS)
tests_unit_test_policy_operator_SOURCES = tests/unit/test-policy-operator.c
tests_unit_test_policy_operator_CFLAGS = $(AM_CFLAGS) $(GLIB_CFLAGS)
tests_unit_test_policy_operator_LDADD = libclv-policy.la libclv-base.la $(TEST_LIBS)
tests_unit_test_policy_property_SOURCES = tests/unit/test-policy-property.c
tests_unit_test_policy_property_CFLAGS = $(AM_CFLAGS) $(GLIB_CFLAGS)
tests_unit_test_policy_property_LDADD = libclv-policy.la libclv-base.la $(TEST_LIBS)

dist_man_MANS += man/conclave-policy.5
EXTRA_DIST += etc/policy.conf etc/policies/adhoc-service.conf etc/policies/board.conf \
	etc/policies/lab.conf
