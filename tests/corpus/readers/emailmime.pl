#!/usr/bin/perl
# Reads mail with Email::MIME (Debian: libemail-mime-perl), the parser of most Perl programs that handle mail.
# Protocol: README.md, "Readers".
use strict;
use warnings;
use FindBin;
use lib $FindBin::Bin;
use Email::MIME;
use Email::MIME::ContentType ();
use Leaves qw(answer leaf);

$SIG{__WARN__} = sub { };    # it warns of nearly everything here
my $MAX_NESTED = 5;

sub walk {
    my ($part, $nested, $leaves) = @_;
    my @below = $part->subparts;
    my $type = eval { Email::MIME::ContentType::parse_content_type($part->content_type) } || {};
    my @names = (scalar $part->filename, $type->{attributes}{name});
    push @$leaves, leaf(scalar(@below) ? '' : $part->body, @names);
    walk($_, $nested, $leaves) for @below;
    # It leaves an attached message to its caller; whoever opens the attachment reads on.
    if (!@below && $nested < $MAX_NESTED && lc("$type->{type}/$type->{subtype}") eq 'message/rfc822') {
        walk(Email::MIME->new($part->body), $nested + 1, $leaves);
    }
}

answer(sub {
    my ($raw) = @_;
    my @leaves;
    walk(Email::MIME->new($raw), 0, \@leaves);
    return @leaves;
});
