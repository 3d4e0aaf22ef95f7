# SPDX-License-Identifier: Apache-2.0
dist_doc_DATA = README.md NEWS HACKING.md CONTRIBUTING.md SECURITY.md %D%/MAP.md %D%/PROTOCOLS.md
