# SPDX-License-Identifier: Apache-2.0
# Benchmarks: "make bench" builds and runs them, BENCH_FLAGS=--json for machines.
bench_programs = %D%/bench-srtp %D%/bench-media %D%/bench-stages %D%/bench-mikey \
	%D%/bench-kms
EXTRA_PROGRAMS += $(bench_programs)
CLEANFILES += $(bench_programs)
BENCH_CFLAGS = $(AM_CFLAGS) $(GLIB_CFLAGS) $(CRYPTO_CFLAGS)
BENCH_FLAGS =

tests_bench_bench_srtp_SOURCES = %D%/bench-srtp.c
tests_bench_bench_srtp_CFLAGS = $(BENCH_CFLAGS)
tests_bench_bench_srtp_LDADD = libclv-media.la $(TEST_LIBS)

tests_bench_bench_media_SOURCES = %D%/bench-media.c
tests_bench_bench_media_CFLAGS = $(BENCH_CFLAGS)
tests_bench_bench_media_LDADD = libclv-media.la $(TEST_LIBS) -lm

tests_bench_bench_kms_SOURCES = %D%/bench-kms.c $(KMS_PARTIES)
tests_bench_bench_kms_CFLAGS = $(KMS_TEST_CFLAGS) $(CURL_CFLAGS) $(SSL_CFLAGS)
tests_bench_bench_kms_LDADD = $(KMS_TEST_LDADD) $(CURL_LIBS) $(SSL_LIBS)

# The media room once more, with its stop watches.
EXTRA_LTLIBRARIES = libclv-media-profiled.la
CLEANFILES += libclv-media-profiled.la
libclv_media_profiled_la_SOURCES = $(libclv_media_la_SOURCES)
libclv_media_profiled_la_CFLAGS = $(libclv_media_la_CFLAGS) -DCLV_MEDIA_PROFILE
libclv_media_profiled_la_LIBADD = $(libclv_media_la_LIBADD)
tests_bench_bench_stages_SOURCES = %D%/bench-media.c
tests_bench_bench_stages_CFLAGS = $(BENCH_CFLAGS) -DCLV_MEDIA_PROFILE
tests_bench_bench_stages_LDADD = libclv-media-profiled.la $(TEST_LIBS) -lm

.PHONY: bench
bench: all $(bench_programs) tests/bench/call-load
	@for p in $(bench_programs); do ./$$p $(BENCH_FLAGS) || exit 1; done
	@/usr/bin/python3 $(srcdir)/tests/bench/bench-calls.py --build $(abs_top_builddir) $(BENCH_FLAGS)
