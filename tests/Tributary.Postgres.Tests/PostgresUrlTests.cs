namespace Tributary.Postgres.Tests;

public sealed class PostgresUrlTests
{
    [Theory]
    [InlineData("postgresql://app@db.example.com/shop")]
    [InlineData("postgres://app:p%40ss%3Aw%2Fo%3Fr%23d@[::1]:5433/my%20shop?sslmode=verify-full&sslrootcert=/etc/my%20ca.pem")]
    [InlineData("postgresql://app:x@/shop?host=/var/run/postgresql&port=5433&sslmode=disable")]
    public void The_secret_text_reads_back_as_the_same_URL(string text)
    {
        Assert.True(PostgresUrl.TryParse(text, out var url, out _));

        Assert.True(PostgresUrl.TryParse(url.ToSecretText(), out var again, out var error), error);
        Assert.Equal(url, again);
    }

    [Fact]
    public void The_ordinary_text_has_no_password()
    {
        Assert.True(PostgresUrl.TryParse("postgresql://app:hush@h/d", out var url, out _));

        Assert.Equal("postgresql://app@h:5432/d", $"{url}");
        Assert.Contains("hush", url.ToSecretText(), StringComparison.Ordinal);
    }
}
