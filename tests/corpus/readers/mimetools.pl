#!/usr/bin/perl
# Reads mail with MIME-tools (Debian: libmime-tools-perl), the parser of MIMEDefang and of amavis.
# Protocol: README.md, "Readers".
use strict;
use warnings;
use Encode qw(decode);
use FindBin;
use lib $FindBin::Bin;
use MIME::Parser;
use Leaves qw(answer leaf);

$SIG{__WARN__} = sub { };    # it warns of nearly everything here

sub walk {
    my ($entity, $leaves) = @_;
    my $head = $entity->head;
    # It keeps values of RFC 2231 as encoded words, for its callers to decode; what they cannot decode is no name.
    my @names = grep { defined && !/=\?/ } map { defined && /=\?/ ? eval { decode('MIME-Header', $_) } : $_ } (
        $head->recommended_filename,
        $head->mime_attr('content-disposition.filename'),
        $head->mime_attr('content-type.name'),
    );
    for my $outside (grep { defined } $entity->preamble, $entity->epilogue) {
        push @$leaves, leaf(join('', @$outside)) if @$outside;
    }
    push @$leaves, leaf($entity->bodyhandle->as_string, @names) if $entity->bodyhandle;
    push @$leaves, leaf('', @names) if !$entity->bodyhandle && grep { defined } @names;
    walk($_, $leaves) for $entity->parts;
}

answer(sub {
    my ($raw) = @_;
    my $parser = MIME::Parser->new;
    $parser->output_to_core(1);
    $parser->tmp_to_core(1);
    $parser->ignore_errors(1);
    $parser->extract_uuencode(1);
    $parser->extract_nested_messages(1);
    $parser->decode_headers(0);
    my @leaves;
    walk($parser->parse_data($raw), \@leaves);
    return @leaves;
});
