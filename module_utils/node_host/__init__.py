"""A Node.js application's host, without Ansible: pm2, the .env file, log files, and the masking of all output."""
