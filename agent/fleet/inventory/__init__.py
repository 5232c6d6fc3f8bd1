"""Servers as other programs list them: ssh_config and Ansible inventories, read and never believed."""
