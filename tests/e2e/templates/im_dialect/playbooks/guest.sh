#!/bin/sh
echo created >> /etc/guest.order
