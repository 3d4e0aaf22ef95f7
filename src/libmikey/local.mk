# SPDX-License-Identifier: Apache-2.0
# Installed for others to use; depends on libc and libcrypto alone.
mikeyincludedir = $(includedir)/libmikey
mikeyinclude_HEADERS = %D%/mikey.h %D%/base.h %D%/cursor.h %D%/exchange.h %D%/header.h %D%/kms.h \
	%D%/payload.h %D%/pk.h %D%/prf.h %D%/sdp.h %D%/seal.h %D%/srtp.h %D%/ticket.h

lib_LTLIBRARIES += libmikey.la
libmikey_la_SOURCES = %D%/private.h %D%/exchange-private.h %D%/base.c %D%/bundle.c %D%/cursor.c \
	%D%/error.c %D%/header.c %D%/keys.c %D%/kms.c %D%/message.c %D%/offer.c %D%/payload.c \
	%D%/pk.c %D%/prf.c %D%/print.c %D%/request.c %D%/sdp.c %D%/seal.c %D%/srtp.c %D%/ticket.c \
	%D%/transfer.c %D%/update.c
# the symbol file decides what is seen, so the compiler must not hide it before
libmikey_la_CFLAGS = $(AM_CFLAGS) -Wconversion -fvisibility=default $(CRYPTO_CFLAGS)
libmikey_la_LDFLAGS = $(AM_LDFLAGS) -version-info 0:0:0 -no-undefined \
	-export-symbols $(srcdir)/%D%/libmikey.sym
libmikey_la_LIBADD = $(CRYPTO_LIBS)
libmikey_la_DEPENDENCIES = $(srcdir)/%D%/libmikey.sym
EXTRA_DIST += %D%/libmikey.sym
pkgconfig_DATA += %D%/libmikey.pc

dist_man_MANS += man/libmikey.3

noinst_PROGRAMS += examples/mikey-initiator examples/mikey-responder
examples_mikey_initiator_SOURCES = examples/mikey-initiator.c examples/mikey-common.h
examples_mikey_initiator_CPPFLAGS = $(AM_CPPFLAGS) -I$(top_srcdir)
examples_mikey_initiator_LDADD = libmikey.la
examples_mikey_responder_SOURCES = examples/mikey-responder.c examples/mikey-common.h
examples_mikey_responder_CPPFLAGS = $(AM_CPPFLAGS) -I$(top_srcdir)
examples_mikey_responder_LDADD = libmikey.la

mikey_tests = tests/unit/test-mikey-vectors tests/unit/test-mikey-hostile \
	tests/unit/test-mikey-exchange tests/unit/test-mikey-property tests/unit/test-mikey-update \
	tests/unit/test-mikey-pk tests/unit/test-mikey-modes tests/unit/test-mikey-golden \
	tests/unit/test-mikey-pitfalls
check_PROGRAMS += $(mikey_tests)
TESTS += $(mikey_tests) tests/unit/test-mikey-examples.sh tests/unit/test-mikey-tshark.py
EXTRA_DIST += tests/unit/test-mikey-examples.sh tests/unit/test-mikey-tshark.py
EXTRA_DIST += tests/vectors/mikey-ticket-vectors.json
MIKEY_TEST_CFLAGS = $(AM_CFLAGS) $(GLIB_CFLAGS) $(CRYPTO_CFLAGS) -I$(top_srcdir)
MIKEY_TEST_LDADD = libmikey.la $(TEST_LIBS)
tests_unit_test_mikey_vectors_SOURCES = tests/unit/test-mikey-vectors.c tests/unit/mikey-json.c \
	tests/unit/mikey-json.h
tests_unit_test_mikey_vectors_CFLAGS = $(MIKEY_TEST_CFLAGS)
tests_unit_test_mikey_vectors_LDADD = $(MIKEY_TEST_LDADD)
tests_unit_test_mikey_hostile_SOURCES = tests/unit/test-mikey-hostile.c tests/unit/mikey-world.c \
	tests/unit/mikey-world.h
tests_unit_test_mikey_hostile_CFLAGS = $(MIKEY_TEST_CFLAGS)
tests_unit_test_mikey_hostile_LDADD = $(MIKEY_TEST_LDADD)
MIKEY_WORLD = tests/unit/mikey-draft.c tests/unit/mikey-draft.h tests/unit/mikey-world.c \
	tests/unit/mikey-world.h
tests_unit_test_mikey_exchange_SOURCES = tests/unit/test-mikey-exchange.c $(MIKEY_WORLD)
tests_unit_test_mikey_exchange_CFLAGS = $(MIKEY_TEST_CFLAGS)
tests_unit_test_mikey_exchange_LDADD = $(MIKEY_TEST_LDADD)
tests_unit_test_mikey_property_SOURCES = tests/unit/test-mikey-property.c
tests_unit_test_mikey_property_CFLAGS = $(MIKEY_TEST_CFLAGS)
tests_unit_test_mikey_property_LDADD = $(MIKEY_TEST_LDADD)
tests_unit_test_mikey_update_SOURCES = tests/unit/test-mikey-update.c $(MIKEY_WORLD)
tests_unit_test_mikey_update_CFLAGS = $(MIKEY_TEST_CFLAGS)
tests_unit_test_mikey_update_LDADD = $(MIKEY_TEST_LDADD)
tests_unit_test_mikey_pk_SOURCES = tests/unit/test-mikey-pk.c tests/unit/mikey-certs.c \
	tests/unit/mikey-certs.h $(MIKEY_WORLD)
tests_unit_test_mikey_pk_CFLAGS = $(MIKEY_TEST_CFLAGS)
tests_unit_test_mikey_pk_LDADD = $(MIKEY_TEST_LDADD)
tests_unit_test_mikey_modes_SOURCES = tests/unit/test-mikey-modes.c $(MIKEY_WORLD)
tests_unit_test_mikey_modes_CFLAGS = $(MIKEY_TEST_CFLAGS)
tests_unit_test_mikey_modes_LDADD = $(MIKEY_TEST_LDADD)
tests_unit_test_mikey_pitfalls_SOURCES = tests/unit/test-mikey-pitfalls.c $(MIKEY_WORLD)
tests_unit_test_mikey_pitfalls_CFLAGS = $(MIKEY_TEST_CFLAGS)
tests_unit_test_mikey_pitfalls_LDADD = $(MIKEY_TEST_LDADD)
EXTRA_DIST += tests/vectors/mikey-golden.txt
tests_unit_test_mikey_golden_SOURCES = tests/unit/test-mikey-golden.c tests/unit/mikey-certs.c \
	tests/unit/mikey-certs.h $(MIKEY_WORLD)
tests_unit_test_mikey_golden_CFLAGS = $(MIKEY_TEST_CFLAGS)
tests_unit_test_mikey_golden_LDADD = $(MIKEY_TEST_LDADD)

# "make bench" runs it, see tests/bench/local.mk
tests_bench_bench_mikey_SOURCES = tests/bench/bench-mikey.c tests/unit/mikey-world.c \
	tests/unit/mikey-world.h
tests_bench_bench_mikey_CFLAGS = $(MIKEY_TEST_CFLAGS)
tests_bench_bench_mikey_LDADD = $(MIKEY_TEST_LDADD)
