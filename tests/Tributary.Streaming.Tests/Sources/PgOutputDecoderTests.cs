using System.Buffers.Binary;
using System.Text;
using Tributary.Streaming.Sources;

namespace Tributary.Streaming.Tests.Sources;

public sealed class PgOutputDecoderTests
{
    const int Mutations = 50_000;

    static readonly byte[] Relation = Bytes('R', 7, "public\0", "t\0", 'd', (short)2, (byte)1, "id\0", 23, -1, (byte)0, "v\0", 25, -1);

    static readonly byte[][] Messages =
    [
        Bytes('B', 1L, 2L, 3), Relation, Bytes('Y', 9, "public\0", "mood\0"), Bytes('O', 1L, "origin\0"),
        Bytes('I', 7, 'N', (short)2, 't', 1, "1", 'n'), Bytes('U', 7, 'K', (short)2, 't', 1, "1", 'n', 'N', (short)2, 't', 1, "2", 'u'),
        Bytes('D', 7, 'O', (short)2, 't', 1, "1", 'b', 2, "xy"), Bytes('T', 1, (byte)3, 7), Bytes('M', (byte)0, 5L, "p\0", 2, "ab"),
        Bytes('C', (byte)0, 1L, 2L, 3L),
    ];

    [Fact]
    public void Unchanged_null_and_empty_values_are_told_apart()
    {
        var decoder = new PgOutputDecoder();
        decoder.Decode(Relation);
        using var transaction = new Transaction(1);

        var row = transaction.Keep(decoder.Decode(Bytes('I', 7, 'N', (short)2, 't', 0, 'u')).New).Read();

        Assert.True(row.Next());
        Assert.Equal((ValueKind.Text, 0), (row.Kind, row.Value.Length));
        Assert.True(row.Next());
        Assert.Equal(ValueKind.Unchanged, row.Kind);
        Assert.False(row.Next());
    }

    [Fact]
    public void Malformed_bytes_give_only_the_typed_error()
    {
        var random = new Random(20261124);
        var refused = 0;
        for (var i = 0; i < Mutations; i++)
        {
            var decoder = new PgOutputDecoder();
            decoder.Decode(Relation);
            var mutated = (byte[])Messages[random.Next(Messages.Length)].Clone();
            for (var flips = random.Next(1, 4); flips > 0; flips--)
                mutated[random.Next(mutated.Length)] = (byte)random.Next(256);
            var length = random.Next(4) == 0 ? random.Next(mutated.Length) : mutated.Length;
            try
            {
                decoder.Decode(mutated.AsSpan(0, length));
            }
            catch (PgOutputFormatException)
            {
                refused++;
            }
        }

        Assert.InRange(refused, Mutations / 10, Mutations);
    }

    [Fact]
    public void Every_whole_message_is_decoded_and_no_shortened_one()
    {
        foreach (var message in Messages)
        {
            var decoder = new PgOutputDecoder();
            decoder.Decode(Relation);
            decoder.Decode(message);
            for (var length = 0; length < message.Length; length++)
                Assert.Throws<PgOutputFormatException>(() => { decoder.Decode(message.AsSpan(0, length)); });
        }
    }

    static byte[] Bytes(params object[] fields)
    {
        var stream = new MemoryStream();
        Span<byte> number = stackalloc byte[8];
        foreach (var field in fields)
        {
            switch (field)
            {
                case char kind:
                    stream.WriteByte((byte)kind);
                    break;
                case byte value:
                    stream.WriteByte(value);
                    break;
                case short value:
                    BinaryPrimitives.WriteInt16BigEndian(number, value);
                    stream.Write(number[..2]);
                    break;
                case int value:
                    BinaryPrimitives.WriteInt32BigEndian(number, value);
                    stream.Write(number[..4]);
                    break;
                case long value:
                    BinaryPrimitives.WriteInt64BigEndian(number, value);
                    stream.Write(number);
                    break;
                default:
                    stream.Write(Encoding.UTF8.GetBytes((string)field));
                    break;
            }
        }

        return stream.ToArray();
    }
}
