namespace Tributary.Postgres.Tests;

public sealed class StoredPasswordTests
{
    static readonly PostgresUrl Url = new() { Host = "db.example", Port = 5432, User = "ann", Database = "shop" };

    [Theory]
    [InlineData("db.example:5432:shop:ann:right", "right")]
    [InlineData("*:*:*:*:right", "right")]
    [InlineData("db.example:5432:*:ann:a\\:b\\\\c:d", "a:b\\c:d")]
    [InlineData("# db.example:5432:shop:ann:wrong", null)]
    [InlineData("db.example:5433:shop:ann:wrong", null)]
    [InlineData("db.example:5432:shop", null)]
    [InlineData("", null)]
    public void A_line_fits_or_not(string line, string? password) => Assert.Equal(password, StoredPassword.Find([line], Url));

    [Fact]
    public void The_first_line_that_fits_counts() =>
        Assert.Equal("first", StoredPassword.Find(["other:*:*:*:none", "*:*:shop:*:first", "*:*:*:*:second"], Url));
}
