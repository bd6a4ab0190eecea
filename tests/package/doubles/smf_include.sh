# As /lib/svc/share/smf_include.sh of illumos answers in the global zone, under SMF.
smf_present() { return 0; }
smf_is_nonglobalzone() { [ "`zonename`" != global ]; }
smf_clear_env() { unset SMF_FMRI SMF_METHOD SMF_RESTARTER SMF_ZONENAME; }
SMF_EXIT_OK=0
SMF_EXIT_ERR_FATAL=95
SMF_EXIT_ERR_CONFIG=96
SMF_EXIT_ERR_NOSMF=99
SMF_EXIT_ERR_PERM=100
