# What the readers in Perl share: from file names on standard input to a line of JSON each on standard output.
package Leaves;
use strict;
use warnings;
use Digest::SHA qw(sha256_hex);
use Encode ();
use Exporter qw(import);
use JSON::PP ();

our @EXPORT_OK = qw(answer leaf);

my $json = JSON::PP->new->utf8->canonical;

sub text {
    # A name as text: names that are bytes are UTF-8 if they can be, Latin-1 if not.
    my ($name) = @_;
    return $name if utf8::is_utf8($name);
    my $decoded = eval { Encode::decode('UTF-8', my $copy = $name, Encode::FB_CROAK) };
    return defined $decoded ? $decoded : Encode::decode('iso-8859-1', $name);
}

sub leaf {
    # leaf CONTENT, NAME…: undefined and repeated names are left out.
    my ($content, @names) = @_;
    utf8::encode($content) if utf8::is_utf8($content);
    my %seen;
    return {
        names => [grep { !$seen{$_}++ } map { text("$_") } grep { defined } @names],
        size => length($content),
        sha256 => sha256_hex($content),
        markers => [$content =~ /(QSCAN-AMBIGUITY-[0-9a-f]{16})/g],
    };
}

sub answer {
    # answer SUB: it is given the bytes of a message and returns its leaves.
    my ($read) = @_;
    $| = 1;
    while (my $file = <STDIN>) {
        chomp $file;
        my %line = (file => $file, leaves => []);
        eval {
            open my $handle, '<:raw', $file or die "cannot open: $!\n";
            local $/;
            $line{leaves} = [$read->(scalar <$handle>)];
            1;
        } or $line{error} = text("$@");
        print $json->encode(\%line), "\n";
    }
}

1;
